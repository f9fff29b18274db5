#!/usr/bin/env python3
"""The walk-through for Postfix, Dovecot and Roundcube, on our packages, command by command; then mail with a host that runs the real ones."""
from _browser import PACKAGES as BROWSER
from _hosts import Lab, main, our_packages
from _peer import Peers
from _peer import start as start_peer
from _services import Services
from _setup import REPOSITORY, Guide
from _webmail import Webmail

packages = our_packages()
with Lab(repository=[*REPOSITORY, *packages]) as lab:
    lab.start_dns()
    mail = lab.host("mail.example.com")
    peer = start_peer(lab)
    desk = lab.host("desk.example.com", BROWSER)
    guide, peers, services, webmail = Guide(mail), Peers(mail, peer), Services(mail, peer), Webmail(mail, desk)
    main(guide.name_the_host, guide.install_mail, guide.configure_postfix, guide.configure_dovecot, guide.install_web, guide.firewall, guide.users, guide.first_mail,
         guide.look,
         *webmail.steps(),
         peers.both_ways_with_starttls, peers.bounces, peers.peer_stopped, peers.relay_access_denied, peers.submission, peers.connection_timed_out, peers.service_down,
         services.imapd_stopped, services.queued_stopped, services.authd_stopped, services.killed, services.grouped,
         guide.clean_up)
