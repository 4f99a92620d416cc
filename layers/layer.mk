# How `sam build` makes a layer: the packages of requirements.txt and our own package, byte-compiled.
#
# PYTHON_RUNTIME and ARCHITECTURE say for which runtime (the template's defaults unless set; give `sam build` the same).
# LAYER_TARGET=host builds for this machine and this `python`, for the local platform.

PYTHON_RUNTIME ?= python3.13
ARCHITECTURE ?= arm64
LAYER_TARGET ?= lambda

version := $(PYTHON_RUNTIME:python%=%)
machine := $(if $(filter arm64,$(ARCHITECTURE)),aarch64,x86_64)
# Python 3.11 runs on Amazon Linux 2 (glibc 2.26), later ones on Amazon Linux 2023 (glibc 2.34).
wheels := $(if $(filter 3.8 3.9 3.10 3.11,$(version)),manylinux_2_17,manylinux_2_28)
target := $(ARTIFACTS_DIR)/python
on_amazon_linux_2 := $(if $(filter lambda,$(LAYER_TARGET)),$(filter manylinux_2_17,$(wheels)))

uv := $(shell command -v uv)
# Asked, not only looked for: a version manager's stand-in may be there for a Python that is not.
interpreter := $(shell python=$$(command -v $(if $(filter host,$(LAYER_TARGET)),python,python$(version))) && \
  "$$python" -c '' 2>/dev/null && echo "$$python")
ifeq ($(LAYER_TARGET),host)
install := $(if $(uv),uv pip install --python $(interpreter),$(interpreter) -m pip install --no-compile --disable-pip-version-check)
else ifneq ($(uv),)
install := uv pip install --python-version $(version) --python-platform $(machine)-$(wheels)
else
install := python3 -m pip install --no-compile --disable-pip-version-check --python-version $(version) \
  --implementation cp --platform $(wheels)_$(machine) --platform manylinux2014_$(machine)
endif
locked := --quiet --only-binary :all: --require-hashes --no-deps --requirement requirements.txt

# LAYER_CACHE names a folder for what was installed and compiled, so that an edit of our own package costs little: what is
# there is linked, since the weights alone have 98 MB.
lock_digest = $(shell { echo $(install) $(LAYER_TARGET) $(PYTHON_RUNTIME) $(ARCHITECTURE); cat requirements.txt $(lastword $(MAKEFILE_LIST)); } | cksum | tr ' ' -)
installed = $(if $(LAYER_CACHE),$(LAYER_CACHE)/$(1)-$(lock_digest),$(target))

# Nothing at run time reads tests, type stubs or C sources.
define prune
find $(1) -depth -type d \( -name __pycache__ -o -name tests -o -name test \) -exec rm -rf {} + ; \
find $(1) -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' \) -delete ; \
rm -rf $(1)/bin $(1)/.lock
endef

# A layer may name shared objects (WITH_DEBUG) that come with debugging information, which GNU's or LLVM's strip leaves
# behind. Written anew, since an installer may have linked what it keeps.
define leave_debug
for file in $(foreach name,$(WITH_DEBUG),$(1)/$(name)); do \
  if strip --strip-debug -o "$$file.new" "$$file" 2>/dev/null; then mv "$$file.new" "$$file"; else rm -f "$$file.new"; fi; \
done
endef

define compile
$(if $(interpreter),$(interpreter) -m compileall -q --invalidation-mode unchecked-hash -s $(1) -p /opt/python $(2),\
echo "$(2): python$(version) is not on this machine: shipped without byte code, slower cold starts")
endef

# $(call refuse,PACKAGE): say why the layer cannot be built, before an installer says it in its way.
define refuse
@echo "Error: $(1) has no wheel for Python $(version) on $(ARCHITECTURE) Lambda (Amazon Linux 2): take python3.12 or later" >&2
@exit 1
endef

# $(call build,NAME): the packages that requirements.txt locks, and the package NAME.
define build
@mkdir -p $(target)
@if [ ! -d "$(installed)" ] || [ "$(installed)" = "$(target)" ]; then \
  new="$(installed)$(if $(LAYER_CACHE),.new.$$$$)"; \
  $(install) --target "$$new" $(locked) && { $(call prune,"$$new"); } && { $(call leave_debug,"$$new"); } && { $(call compile,"$$new","$$new"); } && \
  { [ "$$new" = "$(installed)" ] || if [ -d "$(installed)" ]; then rm -rf "$$new"; else mv "$$new" "$(installed)"; fi; }; fi
@if [ -n "$(LAYER_CACHE)" ]; then cp -Rl "$(installed)/." $(target) 2>/dev/null || cp -R "$(installed)/." $(target); fi
@if [ -d $(target)/boto3 ]; then echo "boto3 comes with Lambda: keep it out of $(1)/requirements.in" >&2; exit 1; fi
@cp -R $(1) $(target)/$(1)
@$(call prune,$(target)/$(1))
@$(call compile,$(target),$(target)/$(1))
endef
