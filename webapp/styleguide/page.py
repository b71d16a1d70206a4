"""The page itself: each example is a template that is shown twice, as what it makes and as what it says."""

from dataclasses import dataclass

from flask import current_app, render_template
from flask.typing import ResponseReturnValue

from webapp.styleguide.samples import samples
from webapp.styleguide.tokens import colours, lengths, tokens_css


@dataclass(frozen=True, kw_only=True)
class Example:
    """One component: `name` is its template in templates/styleguide/examples."""

    name: str
    title: str
    note: str = ""


EXAMPLES = (
    Example(name="buttons", title="Buttons", note="One filled button to a page. Red only for what cannot be undone."),
    Example(
        name="icons", title="Icons", note="Beside words they are silent; those with a direction turn with the script."
    ),
    Example(
        name="field",
        title="Form fields",
        note="The hint gives way to the error; the summary above leads to each field.",
    ),
    Example(name="pick", title="Choice", note="A scale with a cursor, for up to five short answers."),
    Example(
        name="filters",
        title="Filter bar",
        note="Filters are a GET form: what is shown is in the URL. Chips take one away.",
    ),
    Example(name="pager", title="Pagination", note="By cursor; how many pages there are nobody counts."),
    Example(name="tabs", title="Tabs", note="Pages that belong together, each with a URL of its own."),
    Example(name="banner", title="Banners", note="News in ink. Red where a person has to do something."),
    Example(name="failed", title="Error with retry", note="What happened, what is safe, the number to ask with."),
    Example(name="partly", title="Partly failed", note="The part that failed says so; the rest stands."),
    Example(name="empty", title="Nothing yet", note="What would be here, and the next step."),
    Example(
        name="loading",
        title="On its way",
        note="htmx sets aria-busy on what it is about to replace; this is for a part with nothing in it.",
    ),
    Example(name="toast", title="Toasts", note="For what has just become true; a live region reads it."),
    Example(name="dialog", title="Dialog", note="A page of its own, and a native dialog where a script runs."),
    Example(
        name="copy",
        title="Copy",
        note="Only where the clipboard can be written; the text can always be marked by hand.",
    ),
    Example(
        name="voucher", title="Voucher", note="The notches count the credits: large 10,000, middle 1,000, small 100."
    ),
    Example(name="gauge", title="Price gauge", note="From nothing to the dearest; what is saved is copper."),
    Example(
        name="notches",
        title="Costs, drawn",
        note="A cost cut to length; a year of grants, against the most generous plan.",
    ),
    Example(
        name="cost",
        title="Cost before an action",
        note="What is left after it, a warning over half, a way to what is missing.",
    ),
    Example(
        name="tally",
        title="Tally",
        note="Segments in the order of spending, strongest first; held credits are hatched.",
    ),
    Example(name="ministick", title="Balance in the navigation"),
    Example(name="split", title="Split stick", note="Above what it cost, below which credits paid; the notches match."),
    Example(
        name="ledger",
        title="Ledger table",
        note="Each entry cuts the balance's edge. Below 44 rem the rows are cards: narrow the window.",
    ),
    Example(name="chart", title="Chart", note="With the same figures as a table."),
    Example(name="pairs", title="Pairs", note="A name, a value, and what explains it."),
)


def show() -> ResponseReturnValue:
    """Every token and every component."""
    css = tokens_css(current_app.static_folder)
    loader = current_app.jinja_env.loader
    assert loader is not None
    sources = {
        example.name: loader.get_source(current_app.jinja_env, f"styleguide/examples/{example.name}.html")[0].strip()
        for example in EXAMPLES
    }
    return render_template(
        "styleguide/page.html",
        colours=colours(css, hue=current_app.config["SETTINGS"].brand_hue),
        lengths=lengths(css),
        examples=EXAMPLES,
        sources=sources,
        sample=samples(),
    )


def ask() -> ResponseReturnValue:
    """The page that the example of a dialog opens; without a script it is just a page."""
    return render_template("styleguide/question.html")
