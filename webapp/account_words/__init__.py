"""What an account's entries, grants and holds are called and why they are there, for whoever reads of them.

Their owner's pages, the admin pages and mails say it in the same words.
"""
