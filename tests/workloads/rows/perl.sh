#: expect
fork 3
#: run
perl -MSocket -MIO::Socket::UNIX -MFile::Temp -MTime::HiRes=usleep -MPOSIX -e 'my $p = fork; exit 3 unless $p; waitpid $p, 0; print "fork ", $? >> 8, "\n";
socketpair my $a, my $b, AF_UNIX, SOCK_STREAM, 0; syswrite $a, "pair\n"; print scalar <$b>; $SIG{ALRM} = sub { print "alarm\n" }; alarm 1; POSIX::pause();
open my $q, "-|", "sort -r" or die; close $q; my $t = File::Temp->new; print -e $t->filename ? "temp\n" : ""; print `echo backticks`; printf "%s\n", join ",", (getpwuid $<)[0,7];'
