"""Panels that vote: who the judges are, how they are polled, the rule that decides, how far they agree."""

from valueflow.voting.agreement import fleiss_kappa
from valueflow.voting.panel import Panel, PanelMember, build_panel, build_server_panel
from valueflow.voting.polling import Option, Polling, PollQuestion, Votes
from valueflow.voting.rule import ABSTAINED, NO_WINNER, VotingRule, count_votes, winners
from valueflow.voting.settings import ConfiguredPanel, OptionalPanel

__all__ = [
    "ABSTAINED",
    "NO_WINNER",
    "ConfiguredPanel",
    "Option",
    "OptionalPanel",
    "Panel",
    "PanelMember",
    "PollQuestion",
    "Polling",
    "Votes",
    "VotingRule",
    "build_panel",
    "build_server_panel",
    "count_votes",
    "fleiss_kappa",
    "winners",
]
