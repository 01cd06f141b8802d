import MeshCore
import MeshPolicy
import MeshResources
import Testing

@Suite("Decoding of fault injections") struct FaultDecodingTests {
  private struct Missing: Error {}

  private static func text(_ spec: String, target: String = "{group: \"\", kind: Service, name: orders}") -> String {
    """
    apiVersion: mesh.apus.dev/v1alpha1
    kind: FaultInjection
    metadata: {name: f, namespace: shop}
    spec:
      targetRefs: [\(target)]
      \(spec)

    """
  }

  private func fault(_ spec: String, end: String? = "2030-01-01T00:00:00Z") throws -> FaultPolicy {
    let schedule = end.map { "\n  schedule: {end: \"\($0)\"}" } ?? ""
    let result = ManifestParser.parse(file: "f.yaml", text: Self.text(spec + schedule))
    #expect(result.errors.map(\.description) == [])
    guard case .faultInjection(let injection)? = result.objects.first?.value else { throw Missing() }
    #expect(injection.targets == [PolicyTarget(kind: .service, name: "orders")])
    #expect(injection.policy.name == "shop/f")
    return injection.policy
  }

  @Test("percentages have four decimals, and all is the default")
  func percent() throws {
    for (text, expected) in [("0.5", UInt32(5_000)), ("0", 0), ("100", 1_000_000), ("0.0001", 1), ("33.3333", 333_333)]
    {
      #expect(try fault("percent: \(text)\n  reset: true").millionths == expected)
    }
    #expect(try fault("reset: true").millionths == 1_000_000)
  }

  @Test("matches are those of an HTTPRoute, and callers")
  func match() throws {
    let policy = try fault(
      """
      match:
          method: POST
          path: {type: Exact, value: /pay}
          headers: [{name: X-A, value: b}, {type: RegularExpression, name: c, value: d+}]
          queryParams: [{name: e, value: f}]
          clients: [shop/web, other/batch.jobs]
        reset: true
      """)
    #expect(
      policy.match
        == RouteMatch(
          path: .exact("/pay"), method: "POST",
          headers: [
            HeaderMatch(name: "x-a", value: .exact("b")), HeaderMatch(name: "c", value: .regularExpression("d+")),
          ], queryParameters: [QueryMatch(name: "e", value: .exact("f"))]))
    #expect(policy.clients == ["shop/web", "other/batch.jobs"])
    let everybody = try fault("reset: true")
    #expect(everybody.match == nil && everybody.clients == [])
  }

  @Test("delays, fixed and by percentiles in any order")
  func delay() throws {
    #expect(try fault("delay: {fixed: 1s250ms}").delay == .fixed(.milliseconds(1250)))
    #expect(
      try fault("delay: {percentiles: {p99.9: 1s, p50: 100ms, p0: 0s, p100: 1s}}").delay
        == FaultDelay(points: [
          .init(quantile: 0, delay: .zero), .init(quantile: 500_000, delay: .milliseconds(100)),
          .init(quantile: 999_000, delay: .seconds(1)), .init(quantile: 1_000_000, delay: .seconds(1)),
        ]))
  }

  @Test("aborts and resets")
  func aborts() throws {
    #expect(try fault("abort: {httpStatus: 418}").abort == FaultAbort(status: 418))
    #expect(try fault("abort: {grpcStatus: DATA_LOSS}").abort == FaultAbort(grpcStatusName: "DATA_LOSS"))
    #expect(
      try fault("abort: {httpStatus: 503, grpcStatus: ABORTED}").abort
        == FaultAbort(status: 503, grpcStatusName: "ABORTED"))
    let both = try fault("delay: {fixed: 1s}\n  reset: true")
    #expect(both.isReset && both.delay != nil)
  }

  @Test("what happens to bodies")
  func bodies() throws {
    let policy = try fault(
      "bandwidth: {requestBytesPerSecond: 10, responseBytesPerSecond: 20}\n  truncate: {afterBytes: 0}\n  "
        + "corrupt: {percent: 0.01}")
    #expect(policy.requestRate == 10 && policy.responseRate == 20)
    #expect(policy.truncateAfter == 0 && policy.corruptMillionths == 100)
    #expect(try fault("bandwidth: {requestBytesPerSecond: 1}").responseRate == nil)
  }

  @Test("schedules, with windows")
  func schedule() throws {
    let schedule = try fault(
      "reset: true\n  schedule: {start: \"2026-01-31T12:00:00Z\", end: \"2026-01-31T14:30:00.5+01:00\", every: 1h, for: 5m}",
      end: nil
    ).schedule
    #expect(schedule.start == 1_769_860_800_000)
    #expect(schedule.end == 1_769_866_200_500)
    #expect(schedule.windows == .init(period: 3_600_000, length: 300_000))
  }

  @Test("times of RFC 3339")
  func times() {
    let valid: [(String, Int64)] = [
      ("1970-01-01T00:00:01Z", 1_000), ("2000-02-29T23:59:59z", 951_868_799_000),
      ("2024-12-31t00:00:00.123456789Z", 1_735_603_200_123), ("2026-01-01T00:30:00+05:30", 1_767_207_600_000),
      ("2026-01-01 00:00:00-00:01", 1_767_225_660_000), ("9999-12-31T23:59:60Z", 253_402_300_800_000),
    ]
    for (text, expected) in valid { #expect(RFC3339.milliseconds(text) == expected) }
    for text in [
      "", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "2025-02-29T00:00:00Z", "2100-02-29T00:00:00Z",
      "2026-04-31T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:00.Z",
      "2026-01-01T00:00:00+0100", "2026-01-01T00:00:00Z ", "1969-12-31T23:59:59Z", "2026-1-01T00:00:00Z",
      "1970-01-01T00:00:00+01:00", "2026-01-01T00:00:0éZ",
    ] {
      #expect(RFC3339.milliseconds(text) == nil, "\(text)")
    }
  }

  @Test("an experiment without an end is worth a warning")
  func endless() {
    for spec in ["reset: true", "reset: true\n  schedule: {start: \"2026-01-31T12:00:00Z\"}"] {
      let result = ManifestParser.parse(file: "f.yaml", text: Self.text(spec))
      #expect(result.objects.count == 1)
      #expect(
        result.errors.map { "\($0.severity) \($0.field): \($0.message); \($0.fix)" } == [
          "warning spec.schedule: without an end it goes on until it is removed, and for as long as no controller can tell "
            + "proxies; write schedule.end"
        ])
    }
  }

  @Test(
    "mistakes",
    arguments: [
      ("percent: -1", "spec.percent: must be a number from 0.0 to 100.0, not -1"),
      ("percent: 0.00001", "spec.percent: has more than four decimals; write 0.0001 or a multiple of it"),
      ("percent: \"5\"", "spec.percent: must be a number, not text; write 5 without quotes"),
      ("reset: false", "spec.reset: a reset that is none says nothing; remove it, or write true"),
      ("delay: {}", "spec.delay: names no time; write fixed: 250ms, or percentiles: {p50: 100ms, p99: 1s}"),
      ("delay: {fixed: 0s}", "spec.delay.fixed: is no delay; write 1ms or more"),
      ("delay: {fixed: 61m}", "spec.delay.fixed: is longer than an hour; write 1h at most"),
      ("delay: {fixed: 5}", "spec.delay.fixed: must be a duration, not the number 5; write 5s for seconds"),
      (
        "delay: {fixed: 1s, percentiles: {p1: 1s}}",
        "spec.delay.fixed: cannot stand together with percentiles; remove one of the two"
      ),
      ("delay: {percentiles: {}}", "spec.delay.percentiles: must not be empty; write p50: 100ms and the like"),
      (
        "delay: {percentiles: {p101: 1s}}",
        "spec.delay.percentiles.p101: \"p101\" is no percentile; write p50, p99 or p99.9, from p0 to p100"
      ),
      (
        "delay: {percentiles: {p50: 2s, p99: 1s}}",
        "spec.delay.percentiles.p99: is shorter than spec.delay.percentiles.p50; a higher percentile is at least as long"
      ),
      (
        "delay: {percentiles: {p50: 2s, p50.0: 3s}}",
        "spec.delay.percentiles[\"p50.0\"]: names the same percentile as spec.delay.percentiles.p50; remove one of the two"
      ),
      ("abort: {}", "spec.abort: names no status; write httpStatus: 503, or grpcStatus: UNAVAILABLE"),
      ("abort: {httpStatus: 304}", "spec.abort.httpStatus: must be a whole number from 400 to 599, not 304"),
      (
        "abort: {grpcStatus: UNAVAILBLE}",
        "spec.abort.grpcStatus: \"UNAVAILBLE\" is not a known value; did you mean UNAVAILABLE?"
      ),
      (
        "abort: {httpStatus: 503}\n  reset: true",
        "spec.reset: cannot stand beside abort, which asks no backend; write two FaultInjections, each with a percent of its own"
      ),
      (
        "reset: true\n  corrupt: {percent: 1}",
        "spec.corrupt: cannot stand beside reset, which asks no backend; write two FaultInjections, each with a percent of its own"
      ),
      ("bandwidth: {}", "spec.bandwidth: limits nothing; write responseBytesPerSecond or requestBytesPerSecond"),
      (
        "bandwidth: {responseBytesPerSecond: 0}",
        "spec.bandwidth.responseBytesPerSecond: must be a whole number from 1 to 1099511627776, not 0"
      ),
      ("truncate: {}", "spec.truncate.afterBytes: is required"),
      ("corrupt: {percent: 0}", "spec.corrupt.percent: corrupts nothing; write 0.0001 or more"),
      ("corrupt: {}", "spec.corrupt.percent: is required; write the share of the bytes, such as 0.01"),
      (
        "match: {clients: [web]}\n  reset: true",
        "spec.match.clients[0]: \"web\" is no service account; write NAMESPACE/NAME, such as shop/web"
      ),
      (
        "match: {clients: []}\n  reset: true",
        "spec.match.clients: must not be empty; remove it, or name service accounts"
      ),
      (
        "match: {path: {value: pay}}\n  reset: true", "spec.match.path.value: \"pay\" must begin with /; write \"/pay\""
      ),
      (
        "match: {hosts: []}\n  reset: true",
        "spec.match.hosts: is not a field of this object; known fields: clients, headers, method, path, queryParams"
      ),
      ("percent: 5", "spec: names no fault; write delay, abort, reset, bandwidth, truncate or corrupt"),
    ])
  func mistakes(spec: String, expected: String) {
    let hasFault = !expected.contains("names no fault") && spec.hasPrefix("percent")
    let full = spec + (hasFault ? "\n  reset: true" : "") + "\n  schedule: {end: \"2030-01-01T00:00:00Z\"}"
    check(Self.text(full), expected)
  }

  @Test(
    "mistakes in schedules",
    arguments: [
      (
        "{end: tomorrow}",
        "end: \"tomorrow\" is not a time; write it as 2026-01-31T12:00:00Z or 2026-01-31T13:00:00+01:00"
      ),
      ("{start: \"2030-01-01T00:00:00Z\", end: \"2030-01-01T00:00:00Z\"}", "end: is not after start; swap the two"),
      ("{end: \"2030-01-01T00:00:00Z\", every: 1h, for: 1m}", "every: windows are counted from start; write start"),
      (
        "{start: \"2026-01-01T00:00:00Z\", end: \"2030-01-01T00:00:00Z\", every: 1h}",
        "every: every and for stand together; write every: 1h and for: 5m"
      ),
      (
        "{start: \"2026-01-01T00:00:00Z\", end: \"2030-01-01T00:00:00Z\", every: 1h, for: 61m}",
        "for: must be more than nothing and at most every"
      ),
    ])
  func schedules(schedule: String, expected: String) {
    check(Self.text("reset: true\n  schedule: \(schedule)"), "spec.schedule.\(expected)")
  }

  @Test("faults are for services and routes")
  func targets() {
    let target = "{group: \"\", kind: Namespace, name: shop}"
    check(
      Self.text("reset: true\n  schedule: {end: \"2030-01-01T00:00:00Z\"}", target: target),
      "spec.targetRefs[0]: faults are for a Service or a route; name the services")
  }

  private func check(_ text: String, _ expected: String) {
    let result = ManifestParser.parse(file: "f.yaml", text: text)
    let errors = result.errors.filter { $0.severity == .error }
    #expect(errors.map { "\($0.field): \($0.message)" + ($0.fix.isEmpty ? "" : "; \($0.fix)") } == [expected])
    #expect(errors.allSatisfy { $0.line > 4 && $0.object == "FaultInjection shop/f" })
    #expect(result.objects.isEmpty)
    #expect(result.rejected.count == 1)
  }
}
