#!/usr/bin/perl
# A key-value store in Perl, right: every request goes on to the service lin-kv, and its answer back to who asked.
use strict;
use warnings;
use JSON::PP;

$| = 1;
my $json = JSON::PP->new->canonical;
my ($node_id, $next_id) = ("", 1);
my %waiting;    # id of our request to the service -> who asked us, and with which id

sub say_to {
    my ($target, $body) = @_;
    print $json->encode({ src => $node_id, dest => $target, body => $body }), "\n";
}

while (my $line = <STDIN>) {
    my $message = $json->decode($line);
    my $body = $message->{body};
    if ($body->{type} eq "init") {
        $node_id = $body->{node_id};
        say_to($message->{src}, { type => "init_ok", in_reply_to => $body->{msg_id} });
    } elsif (defined $body->{in_reply_to}) {
        my $asked = delete $waiting{ $body->{in_reply_to} } or next;
        say_to($asked->{client}, { %$body, in_reply_to => $asked->{msg_id} });
    } else {
        $waiting{$next_id} = { client => $message->{src}, msg_id => $body->{msg_id} };
        say_to("lin-kv", { %$body, msg_id => $next_id++ });
    }
}
