#: expect
refs/heads/main
written far away
#: serve
git init -q -b main work
cd work
echo 'written far away' >file
git add file
git -c user.name=a -c user.email=a@example.net commit -qm one
cd ..
git clone -q --bare work repository.git
git -C repository.git update-server-info
#: run
git ls-remote "$TLS/repository.git"
git clone -q "$TLS/repository.git" there
cat there/file
