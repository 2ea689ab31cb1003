// The original daemon, in Go: each message starts a goroutine for each attempt; the first result is taken from a
// channel with room for all of them, and a context calls the others off. Queues are bounded and filled by the batch, the
// end of every attempt is counted, and none outlives the run.
//
//	seed_daemon --input FILE --output FILE [--workers N] [--fanout K] [--batch LINES]
//
// --workers is how many messages are raced at a time. Says {"messages":N,"attempts":A,"seconds":S} on stdout, from the
// first message read to the last result written; 1 and a line on stderr if anything fails.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	mostBatches = 16      // in a queue
	longest     = 1 << 20 // bytes of a message
)

// ends counts how attempts ended; running has those that have not.
type ends struct {
	running   sync.WaitGroup
	finished  int64 // won or late
	cancelled int64
}

// attempt is the work, an echo, unless it was called off. Sending never blocks: results has room for every attempt.
func attempt(ctx context.Context, message []byte, results chan<- []byte, counted *ends) {
	defer counted.running.Done()
	if ctx.Err() != nil {
		atomic.AddInt64(&counted.cancelled, 1)
		return
	}
	results <- append([]byte(nil), message...)
	atomic.AddInt64(&counted.finished, 1)
}

// race gives the first result; nobody is called off before there is one.
func race(message []byte, fanout int, counted *ends) []byte {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	results := make(chan []byte, fanout)
	counted.running.Add(fanout)
	for i := 0; i < fanout; i++ {
		go attempt(ctx, message, results, counted)
	}
	return <-results
}

// raceAll races the messages of each batch, one after the other.
func raceAll(batches <-chan [][]byte, results chan<- [][]byte, fanout int, counted *ends) {
	for batch := range batches {
		first := make([][]byte, 0, len(batch))
		for _, message := range batch {
			first = append(first, race(message, fanout, counted))
		}
		results <- first
	}
}

// readAll hands over all lines, closes the queue and gives their number.
func readAll(input *os.File, size int, batches chan<- [][]byte) (int64, error) {
	defer close(batches)
	lines := bufio.NewScanner(input)
	lines.Buffer(make([]byte, 64*1024), longest)
	var messages int64
	batch := make([][]byte, 0, size)
	for lines.Scan() {
		messages++
		batch = append(batch, append([]byte(nil), lines.Bytes()...))
		if len(batch) == size {
			batches <- batch
			batch = make([][]byte, 0, size)
		}
	}
	if len(batch) > 0 {
		batches <- batch
	}
	return messages, lines.Err()
}

// writeAll writes until the queue is closed; an error is kept until then, so that nobody waits for room.
func writeAll(output *os.File, results <-chan [][]byte) (int64, error) {
	buffered := bufio.NewWriterSize(output, 256*1024)
	var written int64
	for batch := range results {
		for _, result := range batch {
			buffered.Write(result) // its error comes from Flush again
			buffered.WriteByte('\n')
			written++
		}
	}
	return written, buffered.Flush()
}

func run(inputPath, outputPath string, workers, fanout, size int) error {
	if inputPath == "" || outputPath == "" || workers < 1 || fanout < 1 || size < 1 {
		return errors.New("say --input FILE --output FILE; the numbers are at least 1")
	}
	input, err := os.Open(inputPath)
	if err != nil {
		return err
	}
	defer input.Close()
	output, err := os.OpenFile(outputPath, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer output.Close()

	batches := make(chan [][]byte, mostBatches)
	results := make(chan [][]byte, mostBatches)
	counted := &ends{}
	var racing sync.WaitGroup
	var messages int64
	var readError error
	startedAt := time.Now()
	racing.Add(workers)
	for i := 0; i < workers; i++ {
		go func() {
			defer racing.Done()
			raceAll(batches, results, fanout, counted)
		}()
	}
	go func() {
		messages, readError = readAll(input, size, batches)
		racing.Wait()
		close(results)
	}()
	written, writeError := writeAll(output, results)
	seconds := time.Since(startedAt).Seconds()
	counted.running.Wait()

	if readError != nil {
		return readError
	}
	if writeError != nil {
		return writeError
	}
	attempts := counted.finished + counted.cancelled
	if written != messages || attempts != messages*int64(fanout) {
		return fmt.Errorf("%d messages, %d results, %d ends of attempts", messages, written, attempts)
	}
	fmt.Printf("{\"messages\":%d,\"attempts\":%d,\"seconds\":%.6f}\n", messages, attempts, seconds)
	return nil
}

func main() {
	input := flag.String("input", "", "file of messages, one a line")
	output := flag.String("output", "", "file for the results")
	workers := flag.Int("workers", 4, "messages raced at a time")
	fanout := flag.Int("fanout", 4, "attempts of a message")
	size := flag.Int("batch", 256, "messages handed over at a time")
	flag.Parse()
	if err := run(*input, *output, *workers, *fanout, *size); err != nil {
		fmt.Fprintln(os.Stderr, "seed_daemon:", err)
		os.Exit(1)
	}
}
