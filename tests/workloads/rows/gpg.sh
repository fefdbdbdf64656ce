#: expect
Good signature from "Test <test@example.com>"
secret text
#: alike
s/[0-9A-F]{40}|[0-9A-F]{16}/KEY/g; s/Signature made .*/Signature made X/
#: run
gpg --batch --quiet --passphrase '' --quick-generate-key 'Test <test@example.com>' ed25519 sign never 2>&1 | grep -v -E 'directory|keybox|trustdb|marked|revocation' || true
gpg --batch --quiet --passphrase '' --quick-add-key "$(gpg --list-keys --with-colons 2>/dev/null | awk -F: '/^fpr/ {print $10; exit}')" cv25519 encr never 2>&1 | grep -v trustdb || true
echo secret text >t; gpg --batch --quiet --detach-sign t; gpg --verify t.sig t
gpg --batch --quiet --trust-model always -r test@example.com --encrypt t; gpg --batch --quiet -d t.gpg
gpgconf --kill gpg-agent
