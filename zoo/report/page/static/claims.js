// The tab Claims: what is said about bottlenecks, measured: each with its figure, numbers and verdict.
"use strict";

(function () {
  const TEXTS = [["why", "Why"], ["done", "What was done"], ["fails", "Where it fails"]];

  zoo.tab("claims", "Claims", function (element, claims, address) {
    element.dataset.ready = "true";
    if (!claims.length) {
      element.append(zoo.el("p", {}, "No claim has been measured yet."));
      return { shown: () => zoo.keep("claims", {}) };
    }

    const paragraph = (text) => String(text).split(/\n\n+/).map((part) => zoo.el("p", {}, part));

    function numbers(found) {
      const rows = Array.isArray(found) ? found.map((each) => (typeof each === "object" ? Object.values(each) : [each])) : Object.entries(found);
      const text = (value) => (typeof value === "number" ? zoo.number(value) : value !== null && typeof value === "object" ? Object.entries(value).map(([key, each]) => `${key} ${text(each)}`).join(", ") : String(value));
      return zoo.el("table", {}, zoo.el("tbody", {}, rows.map(([name, ...values]) => zoo.el("tr", {}, zoo.el("th", { scope: "row" }, String(name).replaceAll("_", " ")), values.map((value) => zoo.el("td", {}, text(value)))))));
    }

    function article(claim) {
      const texts = TEXTS.filter(([key]) => claim[key]).flatMap(([key, title]) => [zoo.el("h3", {}, title), ...paragraph(claim[key])]);
      return zoo.el(
        "article", { className: "claim", id: `claim-${claim.name}` },
        zoo.el("h2", {}, claim.title), zoo.el("p", { className: "said" }, claim.claim),
        zoo.el("p", { className: "outcome" }, zoo.el("strong", {}, "Verdict: "), claim.verdict),
        zoo.el(
          "div", { className: "evidence" },
          claim.figure ? zoo.el("a", { href: claim.figure, download: `${claim.name}.png`, title: "save the figure" }, zoo.el("img", { src: claim.figure, alt: `Figure: ${claim.title}`, loading: "lazy" })) : null,
          zoo.el("div", {}, claim.equation ? zoo.el("p", { className: "equation" }, claim.equation) : null, texts, claim.numbers ? zoo.el("div", { className: "scroller", tabIndex: 0, role: "region", "aria-label": `Numbers: ${claim.title}` }, numbers(claim.numbers)) : null)
        )
      );
    }

    const articles = claims.map(article);
    const links = claims.map((claim, i) => zoo.button(claim.title, () => open(i)));
    function open(i) {
      zoo.keep("claims", { claim: claims[i].name });
      articles[i].scrollIntoView({ behavior: zoo.stillness.matches ? "auto" : "smooth" });
    }
    element.append(zoo.el("nav", { className: "side", "aria-label": "Claims" }, links), zoo.el("div", { className: "list" }, articles));
    const asked = claims.findIndex((claim) => claim.name === address.get("claim"));
    if (asked > 0) open(asked);
    return { shown: () => zoo.keep("claims", {}) };
  });
})();
