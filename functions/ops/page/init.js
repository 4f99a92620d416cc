// Shows the description that lies beside this page, wherever the two are served.
window.SwaggerUIBundle({
  dom_id: "#api",
  url: new URL("openapi.json", document.baseURI).href,
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  // No description leaves for a validator elsewhere.
  validatorUrl: null,
});
