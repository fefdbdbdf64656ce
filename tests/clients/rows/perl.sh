#: expect
www.example.net answers www.example.net, plain
#: run
perl -MHTTP::Tiny -e 'my $answer = HTTP::Tiny->new->get("$ENV{HTTP}/hello"); print $answer->{content}; exit !$answer->{success}'
