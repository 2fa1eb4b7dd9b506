import { Screen } from '../ui/parts'

export const Playground = () => <Screen title="Playground">{null}</Screen>
