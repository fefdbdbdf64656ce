#: expect
:assumed-role/
#: run
/usr/bin/ruby -e '
require "aws-sdk-core"
puts Aws::STS::Client.new(endpoint: ENV["URL"]).get_caller_identity.arn'
