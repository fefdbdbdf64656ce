#: expect
git.example.net ran it
status 3
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
#: run
curl -sSf http://www.example.net/id -o id
chmod 600 id
options="-i id -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=known"
echo 'git.example.net ran it' | ssh $options git@git.example.net cat
ssh $options git@git.example.net 'exit 3' || echo "status $?"
