#: expect
written far away
new there: written here
#: serve
home=/home/internet/git
mkdir -p "$home/.ssh"
echo "git:x:0:0::$home:/bin/bash" >>/etc/passwd
echo 'git:*:19000:0:99999:7:::' >>/etc/shadow
ssh-keygen -q -t ed25519 -N '' -f "$home/key"
cp "$home/key.pub" "$home/.ssh/authorized_keys"
chmod -R go-w "$home"
cp "$home/key" id
chmod 644 id
dropbearkey -t ed25519 -f "$home/host" >/dev/null 2>&1
for address in $(getent ahosts git.example.net | awk '/STREAM/ { print $1 }'); do
    case $address in *:*) address="[$address]" ;; esac
    dropbear -r "$home/host" -p "$address:22" -s -P "$home/pid.$address"
done
git init -q --bare -b main "$home/repository.git"
git clone -q "$home/repository.git" work 2>/dev/null
cd work
echo 'written far away' >file
git add file
git -c user.name=a -c user.email=a@example.net commit -qm one
git push -q origin HEAD:main
#: run
curl -sSf http://www.example.net/id -o id
chmod 600 id
export GIT_SSH_COMMAND="ssh -i $PWD/id -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=known"
git clone -q git@git.example.net:repository.git there
cd there
cat file
echo 'written here' >new
git add new
git -c user.name=a -c user.email=a@example.net commit -qm two
git push -q origin HEAD:main
git fetch -q
echo "new there: $(git show origin/main:new)"
