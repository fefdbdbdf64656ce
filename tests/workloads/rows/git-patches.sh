#: expect
Applying: second
#: setup
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.com
export GIT_AUTHOR_DATE="2026-01-01T00:00:00Z" GIT_COMMITTER_DATE="2026-01-01T00:00:00Z"
git init -q -b main .
seq 100 >numbers; git add .; git commit -q -m first
#: run
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.com
export GIT_AUTHOR_DATE="2026-01-01T00:00:00Z" GIT_COMMITTER_DATE="2026-01-01T00:00:00Z"
git switch -q -c other; sed -i 's/^50$/fifty/' numbers; git commit -q -a -m second
git format-patch -1 --stdout >second.patch
git switch -q main; git am second.patch; git blame -s -L 49,51 numbers; git grep -n fifty
git archive --format=tar HEAD | tar -tf -; git bundle create -q all.bundle --all; git clone -q all.bundle ../copy; git -C ../copy log --oneline
