#: expect
first
On branch topic
#: run
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.com
export GIT_AUTHOR_DATE="2026-01-01T00:00:00Z" GIT_COMMITTER_DATE="2026-01-01T00:00:00Z"
git init -q -b main .
git config core.abbrev 12
echo one >file; git add file; git commit -q -m first
git switch -q -c topic
echo two >>file
git diff; git status
git commit -q -a -m second
git log --oneline --graph --decorate --all
git config --list --local
