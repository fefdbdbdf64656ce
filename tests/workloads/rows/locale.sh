#: expect
LC_CTYPE="C.UTF-8"
c3a4
#: run
locale | grep -E 'LC_CTYPE|LANG='; locale -a | grep -ci 'c.utf'; locale charmap
printf 'ä' | iconv -f UTF-8 -t UTF-8 | od -An -tx1 | tr -d ' '; printf '\344' | iconv -f LATIN1 -t UTF-8 | od -An -tx1 | tr -d ' '; printf 'h\303\244' | iconv -f UTF-8 -t ASCII//TRANSLIT; echo; printf 'x\300y' | iconv -f UTF-8 -t UTF-16LE || echo "status $?"
printf '%s\n' ä z a Z | sort | tr '\n' ' '; python3 -c 'import locale, sys; print(locale.setlocale(locale.LC_ALL, ""), sys.getfilesystemencoding(), "ß".upper())'; touch 'Datei ä'; ls; printf '%(%A)T\n' 0
