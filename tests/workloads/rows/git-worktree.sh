#: expect
[feature]
#: setup
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.com
export GIT_AUTHOR_DATE="2026-01-01T00:00:00Z" GIT_COMMITTER_DATE="2026-01-01T00:00:00Z"
git init -q -b main .
mkdir -p src; echo .trees >.gitignore; echo x >src/x; git add .; git commit -q -m first
#: run
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.com
export GIT_AUTHOR_DATE="2026-01-01T00:00:00Z" GIT_COMMITTER_DATE="2026-01-01T00:00:00Z"
git worktree add -q -b feature .trees/feature
cd .trees/feature
echo y >src/y; git add .; git commit -q -m second; git status --short --branch
cd ../..
git worktree list; git log --oneline --all
git worktree remove .trees/feature; git worktree prune -v; git worktree list; git update-ref -d refs/heads/feature; git branch
