package e2e

import "testing"

// TestE2BEnvd runs commands, files and terminals of E2B's published client.
func TestE2BEnvd(t *testing.T) {
	s := service(t, "e2b")
	node(t, []string{"E2B_API_URL=" + s.url, "E2B_SANDBOX_URL=" + s.url, "E2B_API_KEY=" + s.key}, "published/e2b/envd.test.mjs")
}
