#!/usr/bin/env python3
"""Says in which language a line is: `de 0.98 the line`. A stand-in for any model that takes its time to load.

It learns from the sentences below, which takes as long as a large model's weights do: so it is started once, and is
given one line after the other. It answers each with a line, at once (flush), and says nothing else on stdout.
"""

import collections
import math
import sys
import time

SENTENCES = {
    "de": "der hund und die katze sind nicht im haus ich habe das buch auf den tisch gelegt wir gehen heute nach hause",
    "en": "the dog and the cat are not in the house i have put the book on the table we are going home today",
    "fr": "le chien et le chat ne sont pas dans la maison je ai mis le livre sur la table nous allons chez nous ce soir",
    "es": "el perro y el gato no estan en la casa he puesto el libro sobre la mesa nos vamos a casa esta noche",
}
LOADING = 1.0  # seconds


def pieces(text):
    text = f"  {text.lower()}  "
    return [text[i:i + 3] for i in range(len(text) - 2)]


def learn():
    time.sleep(LOADING)
    return {language: collections.Counter(pieces(text)) for language, text in SENTENCES.items()}


def classify(model, line):
    scores = {language: sum(math.log((counts[piece] + 0.1) / sum(counts.values())) for piece in pieces(line))
              for language, counts in model.items()}
    best = max(scores, key=scores.get)
    return best, 1 / sum(math.exp(min(700, score - scores[best])) for score in scores.values())


def main():
    model = learn()
    for line in sys.stdin:
        language, share = classify(model, line.rstrip("\n"))
        print(f"{language} {share:.2f} {line.rstrip()}", flush=True)


if __name__ == "__main__":
    main()
