package import GRPCCore
package import MeshAPI
import MeshControlAPI
import MeshResources
import SwiftProtobuf

// MARK: - Analysis

extension AdminService {
  package func analyze(
    request: Apus_V1_AnalyzeRequest, context: ServerContext
  ) async throws -> Apus_V1_AnalyzeResponse {
    let findings = MeshAnalysis.findings(await state.input(), isLive: true)
    return .with { $0.findings = findings.map(Apus_V1_Finding.init) }
  }
}

extension Apus_V1_Finding {
  fileprivate init(_ finding: Finding) {
    self.init()
    code = finding.code.rawValue
    severity = finding.severity.rawValue
    file = finding.position.file
    line = UInt32(clamping: finding.position.line)
    column = UInt32(clamping: finding.position.column)
    object = finding.object
    field = finding.field
    message = finding.message
    fix = finding.fix
  }
}
