import MeshCLI

await ApusTool.main()
