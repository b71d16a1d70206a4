"""The table of the pages of accounts: which path is answered by which function."""

from flask import Blueprint

from webapp.admin.account_deduct import deduct
from webapp.admin.account_entry import show_entry
from webapp.admin.account_freeze import freeze_grant, unfreeze_grant
from webapp.admin.account_hold import void_hold
from webapp.admin.account_overdraft import set_overdraft
from webapp.admin.account_page import show_account
from webapp.admin.account_refund import refund_spend
from webapp.admin.account_suspension import resume_account, suspend_account
from webapp.admin.account_take_back import take_back
from webapp.admin.accounts import accounts, accounts_csv

pages = Blueprint("admin_accounts", __name__, url_prefix="/admin")

ONE = "/accounts/<number:account_id>"
BOTH = ("GET", "POST")

pages.add_url_rule("/accounts", "accounts", accounts)
pages.add_url_rule("/accounts.csv", "accounts_csv", accounts_csv)
pages.add_url_rule(ONE, "account", show_account)
pages.add_url_rule(f"{ONE}/entries/<number:seq>", "entry", show_entry)
pages.add_url_rule(f"{ONE}/entries/<number:seq>/refund", "refund_spend", refund_spend, methods=BOTH)
pages.add_url_rule(f"{ONE}/deduct", "deduct", deduct, methods=BOTH)
pages.add_url_rule(f"{ONE}/overdraft", "overdraft", set_overdraft, methods=BOTH)
pages.add_url_rule(f"{ONE}/suspend", "suspend", suspend_account, methods=BOTH)
pages.add_url_rule(f"{ONE}/resume", "resume", resume_account, methods=BOTH)
pages.add_url_rule(f"{ONE}/grants/<number:grant_id>/freeze", "freeze_grant", freeze_grant, methods=BOTH)
pages.add_url_rule(f"{ONE}/grants/<number:grant_id>/unfreeze", "unfreeze_grant", unfreeze_grant, methods=BOTH)
pages.add_url_rule(f"{ONE}/grants/<number:grant_id>/take-back", "take_back", take_back, methods=BOTH)
pages.add_url_rule(f"{ONE}/holds/<number:number>/void", "void_hold", void_hold, methods=BOTH)
