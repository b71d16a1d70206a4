"""The table of these pages: which path is answered by which function."""

from flask import Blueprint

from webapp.credits.balance import show_fragment
from webapp.credits.export import export_csv, export_json
from webapp.credits.history import show_history
from webapp.credits.overview import show_credits
from webapp.credits.playground import show_playground, spend_on_feature
from webapp.credits.unlocks import open_unlock
from webapp.credits.usage import show_usage
from webapp.credits.usage_export import export_usage_csv, export_usage_json
from webapp.credits.why import show_entry

credits = Blueprint("credits", __name__, url_prefix="/credits")

credits.add_url_rule("", "overview", show_credits)
credits.add_url_rule("/balance", "balance", show_fragment)
credits.add_url_rule("/history", "history", show_history)
credits.add_url_rule("/history.csv", "history_csv", export_csv)
credits.add_url_rule("/history.json", "history_json", export_json)
credits.add_url_rule("/usage", "usage", show_usage)
credits.add_url_rule("/usage.csv", "usage_csv", export_usage_csv)
credits.add_url_rule("/usage.json", "usage_json", export_usage_json)
credits.add_url_rule("/entries/<int:seq>", "entry", show_entry)
credits.add_url_rule("/unlocks", "open_unlock", open_unlock, methods=["POST"])
credits.add_url_rule("/playground", "playground", show_playground)
credits.add_url_rule("/playground", "playground_spend", spend_on_feature, methods=["POST"])
