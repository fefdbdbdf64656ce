#: expect
No errors detected
#: setup
mkdir d; seq 1000 >d/n; cp /bin/true d/t; touch -d @1700000000 d/n d/t d
#: run
zip -q -r a.zip d; unzip -t a.zip; unzip -q a.zip -d out; diff -r d out/d && echo equal
unzip -l a.zip | tail -n 1; test -x out/d/t && echo executable; zip -q -e -P pass e.zip d/n; unzip -q -P pass -p e.zip | tail -n 1
