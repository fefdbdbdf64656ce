#: expect
www.example.net answers www.example.net, plain
www.example.net answers www.example.net, tls
#: run
ruby -rnet/http -e '[ENV["HTTP"], ENV["TLS"]].each { |url| puts Net::HTTP.get(URI(url + "/hello")) }'
