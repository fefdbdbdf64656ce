#: expect
Cloning into 'copy'...
first
#: served
openssl req -quiet -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null ||
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.com
export GIT_AUTHOR_DATE="2026-01-01T00:00:00Z" GIT_COMMITTER_DATE="2026-01-01T00:00:00Z"
git init -q -b main work; cd work; seq 1000 >numbers; git add .; git commit -q -m first
git tag v1; cd ..; git clone -q --bare work repository.git; git -C repository.git update-server-info
#: setup
cp "$SERVED/cert.pem" ca.pem
#: run
git -c http.sslCAInfo=ca.pem clone "$URL/repository.git" copy
cd copy; git log --oneline --decorate; tail -n 1 numbers; git status
git -c http.sslCAInfo=../ca.pem fetch origin; git -c http.sslCAInfo=../ca.pem ls-remote
git ls-remote "$URL/repository.git" 2>&1 | grep -o 'SSL certificate problem\|certificate verification failed' | head -n 1
