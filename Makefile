# One line each; the logic is in tests/xtask. `make build && sudo make install` builds nothing as root.
T = $(or $(CARGO_TARGET_DIR),target)
XTASK = cargo run -q --locked -p xtask --
DESTDIR =
PREFIX = /usr/local

.PHONY: deb rpm deb-from-source rpm-from-source vendor reproducible build demo test bench fuzz install check budgets clean
build:   ; @$(XTASK) build
demo:    ; @$(XTASK) demo
test:    ; @$(XTASK) test
bench:   ; @$(XTASK) bench
fuzz:    ; @$(XTASK) fuzz
check:   ; @$(XTASK) check
budgets: ; @$(XTASK) budgets
install: ; @test -x $(T)/debug/xtask || cargo build -q --locked -p xtask; $(T)/debug/xtask install --destdir '$(DESTDIR)' --prefix '$(PREFIX)'
deb:     ; @$(XTASK) deb
rpm:     ; @$(XTASK) rpm
deb-from-source: ; @$(XTASK) deb --from-source
rpm-from-source: ; @$(XTASK) rpm --from-source
vendor:  ; @$(XTASK) vendor
reproducible: ; @$(XTASK) reproducible
clean:   ; @cargo clean
