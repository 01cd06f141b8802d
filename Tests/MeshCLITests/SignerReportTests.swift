import MeshAPI
import SwiftProtobuf
import Testing

@testable import MeshCLI

/// What `apus identity status` and `apus check` say of who renews the issuer.
@Suite struct SignerReportTests {
  private let now: Int64 = 1_800_000_000
  private let day: Int64 = 86_400

  private func renewal(_ change: (inout Apus_V1_IssuerRenewal) -> Void = { _ in }) -> Apus_V1_IssuerRenewal {
    var renewal = Apus_V1_IssuerRenewal()
    renewal.signer = "https://signer.test/mesh"
    renewal.due = now + 55 * day
    change(&renewal)
    return renewal
  }

  private func failing(_ renewal: inout Apus_V1_IssuerRenewal) {
    renewal.failures = 7
    renewal.problem = "the signer cannot sign now (503)"
    renewal.failingSince = now - 600
    renewal.nextTry = now + 40
  }

  private func render(_ renewal: Apus_V1_IssuerRenewal) -> String {
    AuthorityReport.Renewal(renewal).render(now: now)
  }

  @Test("status tells who renews, when, and what failed")
  func status() {
    #expect(render(renewal()) == "in 55d00h by https://signer.test/mesh")
    #expect(render(renewal { $0.due = 0 }) == "due now by https://signer.test/mesh")
    #expect(render(Apus_V1_IssuerRenewal.with { $0.due = self.now + 55 * self.day }) == "in 55d00h")
    #expect(render(Apus_V1_IssuerRenewal()) == "by hand: apus identity rotate")
    let text = render(renewal(failing))
    #expect(
      text.contains("\n          FAILING for 10m00s, 7 attempts; next one in 40s: the signer cannot sign now (503)"),
      "\(text)")
  }

  /// Of an issuer that was asked for `life` days ahead and has `left` seconds now.
  private func check(_ renewal: Apus_V1_IssuerRenewal, left: Int64) -> CheckItem {
    SignerCheck.item(renewal, issuerEnds: now + left, now: now)
  }

  @Test("an issuer that its signer renews is fine however short its life is, until a renewal fails or is late")
  func checks() {
    #expect(check(renewal(), left: 90 * day).result == .ok)
    #expect(check(renewal { $0.due = self.now + 60 }, left: 2 * day).result == .ok)
    #expect(check(renewal { $0.due = self.now - 599 }, left: 30 * day).result == .ok)
    let late = check(renewal { $0.due = self.now - 601 }, left: 30 * day)
    #expect(late.result == .warning && late.detail.contains("it is late"))
  }

  @Test("a renewal that fails is a warning at once, an error in the last ten days or when half of the margin is gone")
  func failures() {
    func mark(_ due: Int64, left: Int64) -> Mark {
      let item = check(
        renewal {
          $0.due = due
          failing(&$0)
        }, left: left)
      #expect(item.detail.contains("7 attempts failed: the signer cannot sign now (503)"))
      #expect(item.hint?.hasPrefix(left < 30 * day ? "now, " : "soon, ") == true)
      return item.result
    }
    // 90 days of life, renewed after 57.
    #expect(mark(now, left: 33 * day) == .warning)
    #expect(mark(now - 22 * day, left: 11 * day) == .warning)
    #expect(mark(now - 24 * day, left: 9 * day) == .error)
    // A day of life.
    #expect(mark(now - 3600, left: 7 * 3600) == .warning)
    #expect(mark(now - 5 * 3600, left: 3 * 3600) == .error)
    #expect(mark(now - 9 * 3600, left: 0) == .error)
    // A mesh that has never reached its signer lives on its own issuer.
    #expect(mark(0, left: 300 * day) == .warning)
  }

  @Test("apus check asks the signer's check instead of counting days")
  func list() {
    var status = Apus_V1_StatusResponse()
    status.rootNotAfter = now + 365 * day
    status.issuerNotAfter = now + 5 * day
    status.issuerRenewal = renewal { $0.due = self.now + self.day }
    let items = CheckList.mesh(status, CheckProbes(), now: now)
    #expect(items.contains { $0.name == SignerCheck.name && $0.result == .ok })
    #expect(!items.contains { $0.name.hasPrefix("issuer certificate") })
  }
}
