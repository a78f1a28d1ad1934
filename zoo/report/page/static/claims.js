// The tab Claims: what courses say about bottlenecks, tested: each claim with its verdict, figure and numbers.
"use strict";

(function () {
  const ANSWERS = [[true, "yes", "true"], [false, "no", "false"], [null, "open", "undecided"]];
  const OUTCOMES = { holds: "yes", "does not hold": "no" };
  const LIVE = [  // experiments of the other tabs
    ["Denoise an image yourself", "explore?numbers=16", "Move the slider Noise: denoising_ae has learned to remove it."],
    ["Find the garbage between clusters", "explore?map=1", "Hatched places are codes that no test image has."],
    ["Move β", "train?beta=1", "The KL term gathers the codes around 0, and reconstructions blur."],
    ["Train without an activation", "train?activation=identity", "The error ends at PCA's, and not below it."],
  ];

  zoo.tab("claims", "Claims", function (element, claims, address) {
    const live = zoo.el(
      "aside", { className: "live", "aria-label": "Try it yourself" },
      LIVE.map(([title, to, what]) => zoo.el("p", {}, zoo.el("a", { href: `#${to}` }, title), zoo.el("span", { className: "note" }, ` ${what}`)))
    );
    element.dataset.ready = "true";
    if (!claims.length) {
      element.append(zoo.el("nav", { className: "side", "aria-label": "Claims" }, zoo.el("p", {}, "No claim has been measured yet: zoo claims")), live);
      return { shown: () => zoo.keep("claims", {}) };
    }

    const badge = ({ outcome }) => zoo.el("span", { className: `badge ${OUTCOMES[outcome] || "open"}` }, outcome);

    function measured({ value, low, high, unit }) {
      const interval = low === null ? "" : ` (${zoo.number(low)} to ${zoo.number(high)})`;
      return `${zoo.number(value)}${interval}${unit ? ` ${unit}` : ""}`;
    }

    function cases(claim, beside) {
      const sets = Object.entries(claim.cases);
      return zoo.el("ul", { className: "cases" }, sets.flatMap(([data, each]) => each.filter((one) => one.beside === beside).map((one) => {
        const [, kind, word] = ANSWERS.find(([holds]) => holds === one.holds);
        const because = claim.numbers[data][one.number];
        return zoo.el(
          "li", {}, zoo.el("span", { className: `badge ${kind}` }, word), ` ${one.part}${sets.length > 1 ? ` (${data})` : ""}`,
          because ? zoo.el("span", { className: "note" }, ` ${one.number}: ${measured(because)}; true if ${one.rule}`) : ""
        );
      })));
    }

    function beside(claim) {
      const found = cases(claim, true);
      return found.childElementCount ? [zoo.el("h3", {}, "Beside the claim"), found] : "";
    }

    function numbers(claim) {
      const sets = Object.keys(claim.numbers);
      const names = [...new Set(sets.flatMap((data) => Object.keys(claim.numbers[data])))];
      const head = zoo.el("tr", {}, ["number", ...sets].map((text) => zoo.el("th", { scope: "col" }, text)));
      const rows = names.map((name) => zoo.el("tr", {}, zoo.el("th", { scope: "row" }, name), sets.map((data) => {
        const found = claim.numbers[data][name];
        return zoo.el("td", {}, found ? measured(found) : "–");
      })));
      return zoo.el("table", {}, zoo.el("thead", {}, head), zoo.el("tbody", {}, rows));
    }

    function folded(title, ...content) {
      return zoo.el("details", {}, zoo.el("summary", {}, title), content);
    }

    function commands(fits) {
      return Object.entries(fits).flatMap(([data, each]) => Object.entries(each).map(([name, { command, seeds }]) =>
        zoo.el("p", { className: "note" }, `${name} (${data}, ${seeds} seed${seeds > 1 ? "s" : ""}): `, zoo.el("code", {}, command))
      ));
    }

    function article(claim) {
      const table = zoo.el("div", { className: "scroller", tabIndex: 0, role: "region", "aria-label": `Numbers: ${claim.title}` }, numbers(claim));
      return zoo.el(
        "article", { className: "claim" },
        zoo.el("h2", {}, badge(claim.verdict), claim.title),
        claim.verdict.answer ? zoo.el("p", { className: "said" }, zoo.el("strong", {}, "Verdict: "), claim.verdict.answer) : "",
        zoo.el("p", { className: "said" }, zoo.el("strong", {}, "The claim: "), claim.claim),
        claim.why ? zoo.el("p", { className: "said" }, zoo.el("strong", {}, "Why one would believe it: "), claim.why) : "",
        claim.equation ? zoo.el("pre", { className: "equation", tabIndex: 0 }, claim.equation) : "",
        zoo.el("div", { className: "evidence" },
          claim.figure ? zoo.el("a", { href: claim.figure, download: `${claim.name}.webp` }, zoo.el("img", { src: claim.figure, alt: `Figure: ${claim.title}` })) : "",
          zoo.el("div", {}, zoo.el("h3", {}, "Parts of the claim"), cases(claim, false), beside(claim), claim.fails ? [zoo.el("h3", {}, "When it fails"), zoo.el("p", {}, claim.fails)] : "")
        ),
        claim.done ? folded("What was done", zoo.el("p", {}, claim.done), claim.fits ? commands(claim.fits) : "") : "",
        folded("All numbers, with 95 % intervals", table)
      );
    }

    const articles = claims.map(article);
    const links = claims.map((claim, i) => {
      const button = zoo.button("", () => open(i));
      button.append(badge(claim.verdict), claim.title);
      return button;
    });
    function open(i) {
      zoo.keep("claims", { claim: claims[i].name });
      articles[i].scrollIntoView({ behavior: zoo.stillness.matches ? "auto" : "smooth" });
      articles[i].querySelector("summary").focus({ preventScroll: true });
    }
    element.append(
      zoo.el("nav", { className: "side", "aria-label": "Claims" }, links),
      zoo.el("div", { className: "list" }, live, articles)
    );
    const asked = claims.findIndex((claim) => claim.name === address.get("claim"));
    if (asked >= 0) open(asked);
    return { shown: () => zoo.keep("claims", {}) };
  });
})();
