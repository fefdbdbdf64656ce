#: expect
Good "file" signature for a@example.com
Agent pid
#: alike
s/SHA256:[A-Za-z0-9+\/]+/SHA256:X/; s/Agent pid [0-9]+/Agent pid N/; s/(Unable to|agent|ssh-)[A-Za-z]*\/agent\.[0-9]+/\1/
#: run
ssh-keygen -q -t ed25519 -N '' -C key -f k; ssh-keygen -l -f k.pub; ssh-keygen -y -f k | cut -d' ' -f1
echo text >text; ssh-keygen -q -Y sign -f k -n file text; echo "a@example.com $(cat k.pub)" >allowed
ssh-keygen -Y verify -f allowed -I a@example.com -n file -s text.sig <text
ssh-keygen -q -t rsa -b 2048 -N '' -f r; ssh-keygen -l -f r | awk '{print $1, $4}'; ls -l k | cut -c1-10
eval "$(ssh-agent)"; ssh-add -q k && ssh-add -l; ssh-agent -k >/dev/null
ssh -o BatchMode=yes -o ConnectTimeout=2 -p 1 localhost true || echo "status $?"
