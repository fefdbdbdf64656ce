#: expect
CONFLICT
Successfully rebased
#: setup
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.com
export GIT_AUTHOR_DATE="2026-01-01T00:00:00Z" GIT_COMMITTER_DATE="2026-01-01T00:00:00Z"
git init -q -b main .
printf '%s\n' 1 2 3 4 5 >file; git add file; git commit -q -m base
git switch -q -c topic; sed -i s/2/two/ file; git commit -q -a -m two; sed -i s/5/five/ file; git commit -q -a -m five
git switch -q main; sed -i s/2/zwei/ file; git commit -q -a -m zwei
#: run
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.com
export GIT_AUTHOR_DATE="2026-01-01T00:00:00Z" GIT_COMMITTER_DATE="2026-01-01T00:00:00Z" GIT_EDITOR=true
git switch -q topic
git rebase main 2>&1 | tr '\r' '\n' | grep -v '^hint' || true
printf '%s\n' 1 zwei-two 3 4 5 >file; git add file
git rebase --continue | tail -n 1 | tr '\r' '\n'
git switch -q main; git merge --no-ff -q -m merged topic
git cherry-pick -x topic~0 >/dev/null 2>&1 || git cherry-pick --skip
echo dirty >>file; git stash -q; git stash list; git stash pop -q; git checkout -q -- file
git tag -a -m tag v1; git update-ref -d refs/heads/topic
git log --graph --format='%h %s %D'; cat file
git fsck; git gc -q; git count-objects
git bisect start HEAD HEAD~2 >/dev/null; git bisect run sh -c '! grep -q two file' >bisected; grep 'first bad' bisected; git bisect reset 2>/dev/null
