#: expect
NAME
#: setup
printf '.TH TOOL 1\n.SH NAME\ntool \\- does something\n.SH SYNOPSIS\n.B tool\n[\\fIfile\\fR]\n' >tool.1; gzip -nk tool.1
#: run
export MANPAGER=cat MANWIDTH=80
man ./tool.1.gz; groff -man -Tascii tool.1 2>/dev/null | grep -c SYNOPSIS || true; man no-such-page-at-all || echo "status $?"
