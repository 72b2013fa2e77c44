package httpapi

import (
	"net/http"

	"github.com/brigdev/brig/api"
)

func execOperations() map[string]operation {
	return map[string]operation{
		"POST " + box + "/exec": {
			id: "exec", takes: api.ExecRequest{}, gives: api.ExecResponse{},
			does: "Run a program to its end. A timeout is status 504 with all that an answer has, or 200 with on_timeout: result.",
		},
		"POST " + box + "/exec/stream": {
			id: "execStream", takes: streamBody{},
			gives: eventsOf("stdout and stderr with a chunk each, and exit or error last. Each has an id to go on from."),
			does:  "Run a program and send what it prints as it comes. After a lost connection the program goes on for resume_seconds.",
		},
		"GET " + box + "/exec/stream": {
			id: "resumeStream", gives: eventsOf("The same events, from the place on."),
			does: "Go on with the stream of a program whose connection was lost, from the header Last-Event-ID or from offset.",
			query: params{
				"header:Last-Event-ID string The id of the last event that came.",
				"process string Which one: the X-Exec-Id header of its first answer.",
				"offset integer How many bytes of its output are there already.",
			},
		},
		"GET " + box + "/exec/ws": {
			id: "execSocket", gives: socket("A WebSocket."), status: http.StatusSwitchingProtocols,
			does: "Programs over a WebSocket, several at a time, each with an id that the caller chose. docs/service.md describes the messages.",
		},
		"GET " + box + "/exec/raw": {
			id: "execRaw", gives: socket("A WebSocket."), status: http.StatusSwitchingProtocols,
			does: "One program over a WebSocket, exact bytes both ways. docs/service.md describes the messages.",
		},
		"GET " + box + "/exec/pty": {
			id: "terminal", gives: socket("A WebSocket."), status: http.StatusSwitchingProtocols, query: terminalSize(),
			does: "A shell on a terminal over a WebSocket. Binary messages are bytes of it; the text message {\"resize\":{\"rows\":R,\"cols\":C}} changes its size.",
		},
		"GET " + box + "/ssh": {
			id: "ssh", gives: socket("A WebSocket."), status: http.StatusSwitchingProtocols, query: terminalSize(),
			does: "Another name of the terminal.",
		},
	}
}

func terminalSize() params {
	return params{"rows integer 1 to 1000, default 24.", "cols integer 1 to 1000, default 80."}
}

func processOperations() map[string]operation {
	const one = box + "/processes/{process}"
	return map[string]operation{
		"POST " + box + "/processes": {id: "startProcess", does: "Start a program that runs on after the call.", takes: processBody{}, gives: api.Process{}, status: http.StatusCreated},
		"GET " + box + "/processes":  {id: "listProcesses", does: "The background programs, ended ones too, the oldest first.", gives: []api.Process{}},
		"GET " + one: {
			id: "getProcess", does: "One of them.", gives: api.Process{}, query: params{"wait boolean Wait for its end first."},
		},
		"GET " + one + "/output": {
			id: "processOutput", does: "What it has printed, exactly, until its end.",
			gives: eventsOf("stdout and stderr with offset and base64, and exit last; paused without follow."),
			query: params{"offset integer Where to begin, in bytes.", "follow boolean 0 ends with what there is now."},
		},
		"POST " + one + "/stdin": {
			id: "writeProcess", does: "Pass the body on to its stdin.", takes: bytesOf("Bytes of stdin."), query: params{"eof boolean Close it afterwards."},
		},
		"POST " + one + "/signal": {id: "signalProcess", does: "Send a signal to its process group, or with tree to all that it started.", takes: signalBody{}},
		"POST " + one + "/resize": {id: "resizeProcess", does: "Change the size of its terminal.", takes: api.Terminal{}},
	}
}

func fileOperations() map[string]operation {
	const path = "path! string Absolute, inside."
	return map[string]operation{
		"PUT " + box + "/fs": {
			id: "writeFile", does: "Write a file of any size; parents are made, an old one is replaced.", takes: bytesOf("The content."), gives: wroteBody{},
			query: params{path, "mode string Octal, default 0644."},
		},
		"GET " + box + "/fs": {
			id: "readFile", does: "Read a regular file, or with the header Range a part of it.", gives: bytesOf("The content."),
			query: params{path, "header:Range string One range of bytes."},
		},
		"DELETE " + box + "/fs":   {id: "removeFile", does: "Remove a file, or a directory with all that is in it.", query: params{path}},
		"GET " + box + "/fs/dir":  {id: "listDir", does: "The names in a directory.", gives: dirBody{}, query: params{path}},
		"POST " + box + "/fs/dir": {id: "makeDir", does: "Make a directory and its parents.", query: params{path}},
		"GET " + box + "/fs/stat": {id: "statFile", does: "Describe one name; a final symbolic link is not followed.", gives: fileEntry{}, query: params{path}},
		"POST " + box + "/fs/move": {
			id: "moveFile", does: "Rename.", query: params{path, "to! string The new name, absolute."},
		},
		"GET " + box + "/fs/tar": {
			id: "readTar", does: "A directory as a tar stream, with names relative to it.", gives: media{Type: "application/x-tar", Does: "The stream."}, query: params{path},
		},
		"PUT " + box + "/fs/tar": {
			id: "writeTar", does: "Unpack a tar stream into a directory, which is made.", takes: media{Type: "application/x-tar", Does: "The stream."}, gives: unpackedBody{}, query: params{path},
		},
	}
}
