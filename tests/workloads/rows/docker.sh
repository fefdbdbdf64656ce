#: expect
Docker version
Cannot connect to the Docker daemon
#: run
export DOCKER_HOST=unix:///run/no-docker.sock
docker --version; docker context ls --format '{{.Name}}'; docker version --format '{{.Client.Version}} {{.Client.Os}}/{{.Client.Arch}}' || echo "status $?"
docker run hello-world || echo "status $?"; docker --help | head -n 3
