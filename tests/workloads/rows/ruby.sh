#: expect
thread 45
#: run
ruby -rsocket -ropen3 -rtempfile -rfileutils -e 'puts "thread #{(0..9).map { |n| Thread.new { n } }.sum(&:value)}"; o, s = Open3.capture2e("echo out; exit 4"); puts o, s.exitstatus
s = TCPServer.new("127.0.0.1", 0); Thread.new { c = s.accept; c.puts "tcp"; c.close }; puts TCPSocket.new("127.0.0.1", s.addr[1]).gets; r, w = IO.pipe; fork { w.puts "forked" }; Process.wait; puts r.gets
Tempfile.create { |f| puts File.exist?(f.path) }; puts Dir.home, Etc.getlogin.nil?, Etc.nprocessors' -retc
