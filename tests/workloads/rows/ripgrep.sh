#: expect
src/a.rs:1:needle here
#: setup
git init -q .; mkdir -p src target; echo 'needle here' >src/a.rs; echo needle >target/b; echo target >.gitignore
for i in $(seq 200); do echo "line $i" >src/f$i; done
#: run
exec </dev/null
rg --sort path -n needle
rg -c --sort path 'line 1\d$' | head -n 3; rg --files --sort path | wc -l; rg -uu -l needle --sort path
rg needle src/a.rs --json | grep -c '"type":"match"'; rg nothing || echo "status $?"
