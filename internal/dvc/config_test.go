package dvc

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestTheUsersFilesLieWhereDVCLooks(t *testing.T) {
	home := map[string]string{"HOME": "/h", "LOCALAPPDATA": "/l", "ProgramData": "/p"}
	for _, c := range []struct {
		goos, env, want string
	}{
		{"linux", "", "/etc/xdg/dvc/config /h/.config/dvc/config"},
		{"linux", "HOME=", "/etc/xdg/dvc/config"},
		{"linux", "XDG_CONFIG_HOME=/x XDG_CONFIG_DIRS=/a:/b", "/a/dvc/config /x/dvc/config"},
		{"linux", "DVC_GLOBAL_CONFIG_DIR=/g XDG_CONFIG_HOME=/x", "/etc/xdg/dvc/config /g/config"},
		{"linux", "DVC_SYSTEM_CONFIG_DIR=/s", "/s/config /h/.config/dvc/config"},
		{"darwin", "", "/Library/Application Support/dvc/config /h/Library/Application Support/dvc/config"},
		{"darwin", "XDG_CONFIG_HOME=/x", "/Library/Application Support/dvc/config /x/dvc/config"},
		{"windows", "XDG_CONFIG_HOME=/x", "/p/iterative/dvc/config /l/iterative/dvc/config"},
		{"windows", "LOCALAPPDATA= ProgramData= DVC_GLOBAL_CONFIG_DIR=/g", "/g/config"},
	} {
		got := UserFiles(c.goos, func(name string) string {
			for _, set := range strings.Fields(c.env) {
				if value, ok := strings.CutPrefix(set, name+"="); ok {
					return value
				}
			}
			return home[name]
		})
		if text := filepath.ToSlash(strings.Join(got, " ")); text != c.want {
			t.Errorf("%s, %s: %s, want %s", c.goos, c.env, text, c.want)
		}
	}
}
