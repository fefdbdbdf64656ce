#: expect
www.example.net got 3145728 bbd05cf6097ac9b1
#: run
head -c 3145728 /dev/zero | ncat www.example.net 7000
