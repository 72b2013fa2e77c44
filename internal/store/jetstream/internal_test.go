package jetstream
import ("testing";"fmt";"strings";"os";"golang.org/x/sys/unix";"log/slog")
func TestX(t *testing.T){
	dir := t.TempDir()
	if err := unix.Mount("brig-test", dir, "tmpfs", 0, "size=4194304"); err != nil { t.Skip(err) }
	defer unix.Unmount(dir,0)
	s,err:=Open(t.Context(),dir+"/j",Options{Reserve:1,Log:slog.New(slog.NewTextHandler(os.Stderr,nil))})
	if err!=nil{t.Fatal(err)}
	s.reserve=-1<<40
	for i:=0;i<120;i++{ _,err:=s.Create(t.Context(),fmt.Sprintf("k%d",i),[]byte(strings.Repeat("v",50000))); if err!=nil{fmt.Println(i,err); if i>90 {break} } }
	_,err=s.Get(t.Context(),"k3"); fmt.Println(err)
	fmt.Println(s.Close())
}
