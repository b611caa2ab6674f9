// Verify checks an exported ledger with the tree and the signed notes of Go's checksum database.
//
//	verify log BOOKS CHECKPOINTS VKEY          every line under every checkpoint
//	verify inclusion PROOF NOTE VKEY           one entry is in a signed tree
//	verify consistency PROOF OLD NEW VKEY      one signed tree is the beginning of another
//
// BOOKS is the NDJSON of an export, CHECKPOINTS the file beside it, PROOF what the API answers, and
// NOTE, OLD, NEW one checkpoint each. Exit code 1 and a message: something is wrong.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	said, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "WRONG:", err)
		os.Exit(1)
	}
	fmt.Println("right:", said)
}

func run(args []string) (string, error) {
	switch {
	case len(args) == 4 && args[0] == "log":
		return replay(args[1], args[2], args[3])
	case len(args) == 4 && args[0] == "inclusion":
		return inclusion(args[1], args[2], args[3])
	case len(args) == 5 && args[0] == "consistency":
		return consistency(args[1], args[2], args[3], args[4])
	}
	return "", errors.New("usage: verify log BOOKS CHECKPOINTS VKEY | " +
		"inclusion PROOF NOTE VKEY | consistency PROOF OLD NEW VKEY")
}

// replay hashes every line, and compares the root at the size of every checkpoint. The key has to
// have signed the last one: that covers all lines, and with them what earlier ones covered.
func replay(books, checkpoints, vkey string) (string, error) {
	text, err := os.ReadFile(checkpoints)
	if err != nil {
		return "", err
	}
	notes := strings.SplitAfter(string(text), "\n\n")
	due := map[int64][]tlog.Hash{}
	var last tlog.Tree
	kept := 0
	for ; len(notes) >= 2; notes = notes[2:] { // text, empty line, signatures, empty line
		last, err = parse(strings.TrimSuffix(notes[0], "\n"))
		if err != nil {
			return "", fmt.Errorf("checkpoint %d: %w", kept+1, err)
		}
		due[last.N] = append(due[last.N], last.Hash)
		if len(notes) < 4 {
			signed := notes[0] + strings.TrimSuffix(notes[1], "\n")
			if last, err = open([]byte(signed), vkey); err != nil {
				return "", fmt.Errorf("the last checkpoint: %w", err)
			}
		}
		kept++
	}
	if kept == 0 {
		return "", errors.New("there is no checkpoint")
	}
	file, err := os.Open(books)
	if err != nil {
		return "", err
	}
	defer file.Close()
	lines := bufio.NewReader(file)
	var stored hashes
	for size := int64(0); ; size++ {
		for _, root := range due[size] {
			if err := compare(size, root, stored); err != nil {
				return "", err
			}
		}
		delete(due, size)
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 && size == last.N && len(due) == 0 {
			return fmt.Sprintf("%d entries under %d checkpoints, root %v", size, kept, last.Hash), nil
		}
		if err == io.EOF || err == nil && size >= last.N {
			return "", fmt.Errorf("line %d is wrong: the last checkpoint covers %d", size+1, last.N)
		}
		if err != nil {
			return "", err
		}
		more, err := tlog.StoredHashes(size, bytes.TrimSuffix(line, []byte("\n")), stored)
		if err != nil {
			return "", err
		}
		stored = append(stored, more...)
	}
}

func compare(size int64, root tlog.Hash, stored hashes) error {
	if size == 0 { // the package gives no root to the empty tree
		return nil
	}
	mine, err := tlog.TreeHash(size, stored)
	if err == nil && mine != root {
		err = fmt.Errorf("the first %d lines have the root %v, the checkpoint has %v", size, mine, root)
	}
	return err
}

func inclusion(proof, signed, vkey string) (string, error) {
	var told struct {
		Leaf, Root  tlog.Hash
		Index, Size int64
		Hashes      tlog.RecordProof
	}
	if err := read(proof, &told); err != nil {
		return "", err
	}
	tree, err := openFile(signed, vkey)
	if err != nil {
		return "", err
	}
	if tree.N != told.Size || tree.Hash != told.Root {
		return "", fmt.Errorf("the proof is for a tree of %d, the checkpoint of %d", told.Size, tree.N)
	}
	if err := tlog.CheckRecord(told.Hashes, tree.N, tree.Hash, told.Index, told.Leaf); err != nil {
		return "", err
	}
	return fmt.Sprintf("entry %d is in the signed tree of %d", told.Index+1, tree.N), nil
}

func consistency(proof, older, newer, vkey string) (string, error) {
	var told struct {
		From, To int64
		Hashes   tlog.TreeProof
	}
	if err := read(proof, &told); err != nil {
		return "", err
	}
	before, err := openFile(older, vkey)
	if err != nil {
		return "", err
	}
	after, err := openFile(newer, vkey)
	if err != nil {
		return "", err
	}
	if before.N != told.From || after.N != told.To {
		return "", fmt.Errorf("the proof is from %d to %d, the checkpoints are of %d and %d",
			told.From, told.To, before.N, after.N)
	}
	if err := tlog.CheckTree(told.Hashes, after.N, after.Hash, before.N, before.Hash); err != nil {
		return "", err
	}
	return fmt.Sprintf("the tree of %d begins with the tree of %d", after.N, before.N), nil
}

// hashes are all hashes of the tree, in the order in which the package stores them.
type hashes []tlog.Hash

func (stored hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for place, index := range indexes {
		found[place] = stored[index]
	}
	return found, nil
}

func openFile(path, vkey string) (tlog.Tree, error) {
	signed, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, err
	}
	return open(append(bytes.TrimRight(signed, "\n"), '\n'), vkey)
}

// open reads a checkpoint that the key has signed.
func open(signed []byte, vkey string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	if !strings.HasPrefix(opened.Text, verifier.Name()+"\n") {
		return tlog.Tree{}, errors.New("the checkpoint is of another origin")
	}
	return parse(opened.Text)
}

// parse reads what a checkpoint says: origin, size, root (C2SP tlog-checkpoint).
func parse(text string) (tlog.Tree, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 {
		return tlog.Tree{}, errors.New("too short")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

func read(path string, into interface{}) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
