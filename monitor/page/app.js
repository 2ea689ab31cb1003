// The live page: asks stats.json, dump.json and history.json of its own origin and shows the answers. It only reads.
// Any field may be missing (older processes) and any answer may fail; what was last known then stays, greyed. All text
// from the answers goes in by textContent or setAttribute. The scripts are read in the order of index.html.
'use strict';

function show() {
  show_header();
  show_age();
  show_old();
  if (stats.answered) {
    show_racing();
    show_law('tasks');
    show_law('attempts');
    show_facts();
    show_queue();
    workers_table.show(known.rows);
    processes_table.show(known.processes);
    ring.show();
  }
  if (known.dump) {
    groups_table.show(list(known.dump.groups));
    oldest_table.show(list(known.dump.attempts));
  }
}

function ask_all() {
  if (document.hidden) return;
  for (const feed of [stats, dump, past]) feed.ask();
}

document.addEventListener('visibilitychange', ask_all);
setInterval(() => { if (!document.hidden) { show_age(); show_header(); } }, 1000);
ask_all();
