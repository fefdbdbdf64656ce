#: expect
Get:
greeting_1.0_all.deb
#: serve
mkdir -p debian/greeting/DEBIAN
cd debian
printf 'Package: greeting\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@example.net>\nDescription: says hello\n' >greeting/DEBIAN/control
dpkg-deb -b greeting greeting_1.0_all.deb >/dev/null
{
    dpkg-deb -f greeting_1.0_all.deb
    printf 'Filename: ./greeting_1.0_all.deb\nSize: %s\nSHA256: %s\n' "$(stat -c %s greeting_1.0_all.deb)" "$(sha256sum greeting_1.0_all.deb | cut -d' ' -f1)"
} >Packages
printf 'SHA256:\n %s %s Packages\n' "$(sha256sum Packages | cut -d' ' -f1)" "$(stat -c %s Packages)" >Release
#: run
mkdir -p state/lists/partial cache/archives/partial
touch status
cat >conf <<X
Dir::State "$PWD/state";
Dir::State::status "$PWD/status";
Dir::Cache "$PWD/cache";
Dir::Etc::sourcelist "$PWD/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::parts "-";
APT::Sandbox::User "";
Acquire::Languages "none";
X
echo "deb [trusted=yes] $HTTP/debian ./" >sources.list
export APT_CONFIG=$PWD/conf
apt-get update
apt-get download greeting
ls *.deb
