#: expect
in a pane 80x24
#: run
export TERM=xterm
tmux -f /dev/null new-session -d -x 80 -y 24 'bash --norc'
tmux send-keys 'echo in a pa""ne $(stty size | sed "s/\(.*\) \(.*\)/\2x\1/")' Enter
for i in $(seq 100); do tmux capture-pane -p | grep -q '^in a pane' && break; sleep 0.1; done
tmux capture-pane -p | grep '^in a pane'
tmux split-window -d 'sleep 100'; tmux list-panes -F '#{pane_index} #{pane_width}x#{pane_height}'; tmux new-window -d 'sleep 100'; tmux list-windows -F '#{window_index}'
tmux kill-server
