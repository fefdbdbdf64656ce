#: expect
patching file a
#: setup
seq 20 >a; sed 's/10/ten/' a >b
#: run
diff -u --label a --label b a b >p || true; patch -p0 <p; cmp a b && echo equal; patch -R -p0 <p; diff3 -m a a b | sed -n 10p; sed -n '5,7p' a | awk '{s += $1} END {print s}'; ed -s a <<<'1,3p' 2>/dev/null || true; comm -3 <(sort a) <(sort b); xxd -l 8 a 2>/dev/null || od -An -c -N 8 a; bc <<<'2^64' 2>/dev/null || true; m4 <<<'define(x,y)x' 2>/dev/null || true
