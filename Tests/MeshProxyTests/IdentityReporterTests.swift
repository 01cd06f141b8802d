import MeshAPI
import Testing

@testable import MeshProxy

@Suite struct IdentityReporterTests {
  @Test("a report waits for every worker, and for those of the newest change alone")
  func rounds() {
    var reporter = IdentityReporter()
    let first = reporter.begin(workers: 2)
    #expect(reporter.confirm(first) == false)
    let second = reporter.begin(workers: 2)
    #expect(reporter.confirm(first) == false, "the last worker of the earlier change")
    #expect(reporter.confirm(second) == false)
    #expect(reporter.confirm(second) == true)
  }

  @Test("a leaf of an issuer that signs no more is old; what was not said is not held against it")
  func oldLeaves() {
    var reporter = IdentityReporter()
    reporter.wantedSigner = "new"
    #expect(!reporter.isLeafOld, "there is none yet")
    var response = Apus_V1_CertifyResponse()
    (response.serial, response.signer, response.issuerNotAfter, response.rootNotAfter) = ("0fa2", "old", 5, 6)
    reporter.take(response)
    #expect(reporter.isLeafOld)
    reporter.wantedSigner = ""
    #expect(!reporter.isLeafOld)
    reporter.wantedSigner = "old"
    reporter.trustHash = 7
    #expect(!reporter.isLeafOld && reporter.issuerEnd == 5 && reporter.rootEnd == 6)
    #expect(reporter.message.serial == "0fa2" && reporter.message.signer == "old" && reporter.message.trustHash == 7)
  }
}
