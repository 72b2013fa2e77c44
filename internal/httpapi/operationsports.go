package httpapi

import (
	"net/http"

	"github.com/brigdev/brig/api"
)

func portOperations() map[string]operation {
	preview := operation{
		id: "previewToken", does: "Make a token that admits to one port, in an address for browsers.",
		takes: api.PreviewRequest{}, gives: api.Preview{}, status: http.StatusCreated,
	}
	twin := preview
	twin.id = "preview"
	return map[string]operation{
		"GET " + box + "/fs/watch": {
			id: "watchFiles", gives: eventsOf("ready, change with op and name for each change, and error last if it cannot go on."),
			does:  "Tell what changes in a directory.",
			query: params{"path string An absolute path inside.", "recursive boolean Also below it."},
		},
		"GET " + box + "/ports":           {id: "listPorts", does: "The ports that something listens on, and those that were named.", gives: []api.Port{}},
		"POST " + box + "/ports":          {id: "namePort", does: "Give a port a label, and open it to everybody or close it again.", takes: api.Port{}, gives: api.Port{}, status: http.StatusCreated},
		"DELETE " + box + "/ports/{port}": {id: "unnamePort", does: "Take a label back, and close the port to everybody else."},
		"GET " + box + "/ports/{port}/connect": {
			id: "connectPort", gives: socket("A WebSocket."), status: http.StatusSwitchingProtocols,
			does: "Connect to a port, whatever is spoken there. Binary messages are bytes both ways; an empty one from the client says that no more come.",
		},
		proxyPath + "/{path...}": {
			id: "proxyPort", does: "Pass a request of any method, or a WebSocket, on to a port.",
			takes: bytesOf("What the server inside takes."), gives: bytesOf("What the server inside answers."),
		},
		"POST " + box + "/preview-token": preview,
		"POST " + box + "/preview":       twin,
		"/v1/p/{token}":                  {id: "toPreview", does: "Add the slash that is missing.", status: http.StatusTemporaryRedirect},
		"/v1/p/{token}/{path...}": {
			id: "openPreview", does: "Pass a request on to the port that a preview token admits to.",
			takes: bytesOf("What the server inside takes."), gives: bytesOf("What the server inside answers."),
		},
	}
}
