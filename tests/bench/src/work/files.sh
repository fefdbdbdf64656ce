mkdir files
cd files
git init -q .
for d in $(seq 200); do
    mkdir -p "src/$((d % 20))/$d"
    for f in $(seq 100); do echo "$d $f" >"src/$((d % 20))/$d/$f.txt"; done
done
git add .
git -c user.name=a -c user.email=a@b commit -q -m all
echo changed >src/1/1/1.txt
echo new >src/1/1/new.txt
