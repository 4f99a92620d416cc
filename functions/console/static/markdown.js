// Markdown of a model, as markup that is safe to show: nobody trusts what a model writes.
import DOMPurify from "./dompurify.js";
import { marked } from "./marked.js";

// Text only: nothing loads from elsewhere (a picture's address can carry words out), nothing asks for input, no style.
const ALLOWED = {
  ALLOWED_TAGS: ["a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul"],
  ALLOWED_ATTR: ["href", "title", "align", "start", "class"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};
const LANGUAGE = /^language-[\w+#.-]{1,30}$/;

DOMPurify.addHook("uponSanitizeAttribute", (node, attribute) => {
  if (attribute.attrName === "class" && !(node.tagName === "CODE" && LANGUAGE.test(attribute.attrValue))) attribute.keepAttr = false;
});
DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName !== "A") return;
  node.target = "_blank";
  node.rel = "noopener noreferrer nofollow";
});

const escaped = (text) => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);

// Markup in Markdown is shown as it is written, and a picture as a link: the sanitizer is the second line.
marked.use({
  renderer: {
    html: ({ text }) => escaped(text),
    image: ({ href, text }) => `<a href="${escaped(href)}">${escaped(text || href)}</a>`,
  },
});

// Headings of an answer stand below those of the page.
const DEEPER = { H1: "h3", H2: "h4", H3: "h5", H4: "h6", H5: "h6", H6: "h6" };

export function safe(text) {
  const fragment = DOMPurify.sanitize(marked.parse(text, { async: false, breaks: true, gfm: true }), ALLOWED);
  for (const heading of fragment.querySelectorAll("h1,h2,h3,h4,h5,h6")) {
    const deeper = document.createElement(DEEPER[heading.tagName]);
    deeper.append(...heading.childNodes);
    heading.replaceWith(deeper);
  }
  return fragment;
}
