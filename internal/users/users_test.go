package users

import "testing"

func TestFind(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/sh\nwww:x:33:34::/var/www:/bin/sh\nhalf:x:7\nodd:x:a:b::/:/bin/sh\n::::::\n"
	const group = "root:x:0:\nstaff:x:50:\nodd:x:z:\n"
	for who, want := range map[string]Account{
		"root":            {"root", "/root", 0, 0},
		"www":             {"www", "/var/www", 33, 34},
		"33":              {"www", "/var/www", 33, 34},
		"33:0":            {"www", "/var/www", 33, 0},
		"www:staff":       {"www", "/var/www", 33, 50},
		"4242":            {"", "/", 4242, 4242},
		"4294967294:5":    {"", "/", 4294967294, 5},
		"4294967295":      {},
		"0:4294967295":    {},
		"nobody":          {},
		"www:nobody":      {},
		"half":            {},
		"7":               {},
		"odd":             {},
		"www:odd":         {},
		"-1":              {},
		"4294967296":      {},
		"www:":            {},
		"www:1:1":         {},
		"www\nroot:x:0:0": {},
	} {
		got, err := Find(passwd, group, who)
		if (err != nil) != (want == Account{}) || err == nil && got != want {
			t.Errorf("%q: %+v, %v; want %+v", who, got, err, want)
		}
	}
}
